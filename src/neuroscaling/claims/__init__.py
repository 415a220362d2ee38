"""The room of claims: what a study states of its laws, judged by stated rules in each mode, form and without groups."""
