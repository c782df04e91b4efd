from tests.api_server import api_server

__all__ = ["api_server"]
