"""The functions behind the assertions: one module per scenario, and what all have."""
