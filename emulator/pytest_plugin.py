"""The pytest plugin: labs as fixtures, scenario files as tests, the report beside a failure."""
