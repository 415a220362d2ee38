"""The vision branch of ONE-PEACE, which neither timm nor torchvision has, and its official checkpoints.

Wang and others 2023, "ONE-PEACE: Exploring one general representation model toward unlimited modalities"
(arXiv:2305.11172). The architecture and its names follow OFA-Sys/ONE-PEACE, one_peace_vision/classification, whose code
and weights are under the Apache License 2.0.
"""
