"""`python -m tests.explain.write_golden`: the page as it is now becomes the golden one."""

from tests.explain.golden import GOLDEN, told

if __name__ == "__main__":
    GOLDEN.write_text(told())
