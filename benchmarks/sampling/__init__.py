"""How well sampling strategies and plans do: replay on customs declarations, a synthetic catalogue, speed."""
