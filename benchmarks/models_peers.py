"""AlexNet and ResNet-18 in plain torch, written anew, with torchvision's names of parameters."""

import torch
from torch import nn


def alexnet(num_classes: int) -> nn.Module:
    """Without dropout."""
    stages = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
    features: list[nn.Module] = []
    for number, (inputs, filters, kernel, stride, padding) in enumerate(stages):
        features += [nn.Conv2d(inputs, filters, kernel, stride, padding), nn.ReLU(inplace=True)]
        features += [nn.MaxPool2d(3, 2)] if number in (0, 1, 4) else []
    model = nn.Module()
    model.features = nn.Sequential(*features)
    empty = nn.Identity
    hidden = [empty(), nn.Linear(9216, 4096), nn.ReLU(), empty(), nn.Linear(4096, 4096), nn.ReLU()]
    model.classifier = nn.Sequential(*hidden, nn.Linear(4096, num_classes))
    model.forward = lambda x: model.classifier(model.features(x).flatten(1))
    return model


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(self, inputs: int, filters: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)
        if stride > 1:
            shortcut = nn.Conv2d(inputs, filters, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(filters))
        else:
            self.downsample = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Its output."""
        branch = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(branch + self.downsample(x))


class ResNet18(nn.Module):
    """Two blocks in each of four stages."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for number, filters in enumerate((64, 128, 256, 512), start=1):
            first = Block(inputs, filters, 1 if number == 1 else 2)
            self.add_module(f"layer{number}", nn.Sequential(first, Block(filters, filters, 1)))
            inputs = filters
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(x.mean((2, 3)))


PEERS = {"alexnet": alexnet, "resnet18": ResNet18}
