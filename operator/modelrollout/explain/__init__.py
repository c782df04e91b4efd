"""The evidence of a rollout as a page for a person: read from the cluster or a file, changed by nobody."""
