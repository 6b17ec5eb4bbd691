"""Personal data in text: where it is, and what becomes of it. Pure, and usable alone.

Text comes in and offsets, kinds and counts go out; the matched text itself stays here.
"""
