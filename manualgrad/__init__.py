"""Learn backpropagation by writing it: hand-written backwards for PyTorch, checked and explained."""
