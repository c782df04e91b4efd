"""The main job of this repository, told as a story: six versions of a model meet real users (`python -m demo`)."""
