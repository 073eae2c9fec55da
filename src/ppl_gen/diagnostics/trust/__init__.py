"""How far to trust a fit: the guide's quality, and checks that name a fault."""
