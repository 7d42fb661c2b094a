"""Values to text with roles of style; no colours and no widgets."""
