"""Every room uses errors, files and their formats, hashes, leases, records and score tables from here."""
