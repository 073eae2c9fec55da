"""ArviZ's view of a posterior: its tree of draws, of this package or of bare Pyro."""
