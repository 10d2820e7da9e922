"""What several test files share, imported as `helpers` (pythonpath in pyproject.toml). Fixtures are in conftest.py."""
