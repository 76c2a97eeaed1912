"""What operations cost the upstream: priced on their plans before the first request, limited, and settled after."""
