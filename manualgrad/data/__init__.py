"""Load the data: XOR, MNIST, a photographed digit, the figures of the source documents."""
