"""Where to look, per kind: a finding says what is wrong, this says which line of the code it usually is."""

HINTS = {
    "missing-gradient": "Look at the `return` of backward: one gradient per argument of forward, in "
    "forward's order.",
    "wrong-shape": "A gradient has exactly its argument's shape. Write the shapes beside each line "
    "of backward.",
    "unsummed": "An entry that is used many times gets the sum over its uses: sum over every "
    "dimension it lacks.",
    "wrong-dtype": "Return it in its argument's dtype: `.to(grad_output.dtype)`. Look for .float(), "
    ".double(), .cpu() or a constant made with another dtype.",
    "sign": "Look for a subtraction in the wrong order, or a minus sign that was lost on the way.",
    "scale": "Look for a constant: an inner derivative, the 1/N of a mean, a ½, an exponent.",
    "ignores-upstream": "Backward computes upstream × derivative: every term is multiplied by "
    "grad_output, once.",
    "transposed": "Write the shapes beside the matrix products: which index is summed, which remains?",
    "swapped-inputs": "Backward returns the gradients in the order of forward's arguments.",
    "input-for-output": "Check what forward saved, and whether each formula means x or y = f(x).",
    "missing-terms": "The chain rule multiplies the derivatives of all links of a path, and sums over every "
    "path from the input to the result: write the links down, count the paths.",
    "wrong-region": "Look at the comparison, mask, slice or index that tells these elements from the others.",
    "mutates": "Replace in-place operations (`*=`, `mul_`, `x[mask] = …`) by ones that make a new tensor.",
    "layout": "Use reshape instead of view, and no trick that relies on strides.",
    "second-order": "Write backward in differentiable operations on grad_output and saved inputs or "
    "outputs only.",
    "non-finite": "Look for a division by something that can be 0, a log of 0, or exp of something large.",
    "nondeterministic": "Backward must depend on nothing but grad_output and what forward saved.",
    "uninitialized": "Look for torch.empty or empty_like: write every element, or use zeros.",
    "imprecise": "Sum and multiply in float32, and round once at the end; subtract before you round.",
    "kink": "The function has a corner there: any slope between left and right is allowed.",
    "raises": "Print the shapes and types of what comes in, and of what backward returns.",
    "unknown": "Derive one entry by hand and compare it with the elements above.",
}
