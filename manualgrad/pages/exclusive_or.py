"""The page of exclusive or: the plane as the network sees it, and the way of the four points through it."""



FRAMES = 10  # pictures of the boundary: as many as TensorBoard keeps unasked
MANY_FRAMES = 40  # with --log everything
GRID = 60  # points on each side of the plane
EXTENT = (-0.5, 1.5)
