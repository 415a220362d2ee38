"""The report of a study: figures (SVG and PDF) and one page that opens from disk, without a network."""
