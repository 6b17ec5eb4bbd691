"""One file a family of kinds: its pattern, its check, the source of its format.

A new family is one file here, one line in `scanner.DETECTORS`, and one table of texts in
`tests/golden/redact_<KIND in lower case>.yml` that must and must not match.
"""
