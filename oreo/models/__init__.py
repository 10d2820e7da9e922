"""Policy, value and reference: loading, scoring, packing, LoRA, saving."""
