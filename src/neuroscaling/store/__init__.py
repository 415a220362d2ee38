"""Commands look over a whole store: what it holds, what can go, whether it is sound."""
