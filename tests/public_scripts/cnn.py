"""A small convolutional network on images of bars, as scripts are written for torch.nn."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def bars(count, size=12):
    """Draw noisy images of one horizontal, vertical or diagonal bar, and say which."""
    labels = torch.randint(3, (count,))
    images = 0.3 * torch.randn(count, 1, size, size)
    rows, columns = torch.arange(size).view(-1, 1), torch.arange(size).view(1, -1)
    for image, label, place in zip(images, labels, torch.randint(2, size - 2, (count,)), strict=True):
        image += [rows == place, columns == place, (rows + columns) % size == place][label]
    return images, labels


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            nn.GroupNorm(2, 8),
            nn.LeakyReLU(0.1),
        )
        self.fc1 = nn.Linear(8 * 3 * 3, 16)
        self.bn = nn.BatchNorm1d(16)
        self.dropout = nn.Dropout(0.2)
        self.fc2 = nn.Linear(16, 3)

    def forward(self, x):
        x = self.features(x)
        x = torch.flatten(x, 1)
        x = F.silu(self.bn(self.fc1(x)))
        return F.log_softmax(self.fc2(self.dropout(x)), dim=1)


torch.manual_seed(0)
images, labels = bars(96)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
losses = []
for epoch in range(4):
    model.train()
    for batch in torch.randperm(len(images)).split(16):
        optimizer.zero_grad()
        loss = F.nll_loss(model(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        losses.append(F.nll_loss(model(images), labels, reduction="sum").item() / len(images))
    print(f"epoch {epoch}: loss {losses[-1]:.4f}")
