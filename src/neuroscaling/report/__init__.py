"""The report of a study is a set of figures and one page that opens from disk."""
