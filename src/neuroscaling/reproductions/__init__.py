"""Each folder reproduces one published study from its public data."""
