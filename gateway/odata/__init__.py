"""The OData side: queries as values, what each product can answer, text and transport."""
