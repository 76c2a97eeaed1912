"""Operation and variables → plan. Pure: nothing here awaits."""
