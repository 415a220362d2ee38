"""The store as a whole: what is in it, what studies want of it, what can go, whether it is sound."""
