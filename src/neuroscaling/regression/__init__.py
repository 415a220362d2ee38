"""Mappings from features to responses: pure array mathematics, no file formats."""
