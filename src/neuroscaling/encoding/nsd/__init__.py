"""Raw recordings of the Natural Scenes Dataset (Allen and others, Nat. Neurosci. 25, 2022)."""
