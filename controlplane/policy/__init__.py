"""The rules: bundled, checked, and the schema of what they are told."""
