"""The data: XOR's four rows, MNIST, and the figures of the source documents."""
