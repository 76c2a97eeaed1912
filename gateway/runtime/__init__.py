"""Assembly of a gateway, its generations, profiles and reloads."""
