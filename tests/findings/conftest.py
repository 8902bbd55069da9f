from tests.trips.conftest import furnished, journey, roads, save, stray

__all__ = ["furnished", "journey", "roads", "save", "stray"]
