"""Why a network calls a face fake: LIME, Grad-CAM and occlusion on single crops (thesis section 7.3), and how well.

`pictures` says what is explained, `attribution` how, `score` how much of it lies inside the manipulation mask,
`figure`, `tables` and `folder` what people read; `explain` does it all for several runs. Needs the extra `explain`.
"""
