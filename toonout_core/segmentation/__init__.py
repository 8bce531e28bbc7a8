"""Pictures to instances: detectors, refiner, regions, fusion, the matte shared among them."""
