import torch

from manualgrad.training import Position, gather_batches

INPUTS, LABELS = torch.arange(12.0).unsqueeze(1), torch.zeros(12, dtype=torch.long)


def go_through(position, epoch, end=None):
    """Train on nothing, and return the rows in the order in which they came."""
    position.begin(epoch)
    rows = []
    batches = gather_batches(INPUTS, LABELS, 2, position.shuffling(), position.batches)
    for inputs, labels in batches:
        position.tally.add(torch.tensor(1.0), torch.zeros(2, 3), labels)
        position.batches += 1
        rows += inputs.flatten().tolist()
        if position.batches == end:
            break
    return rows


def test_every_epoch_has_an_order_and_sums_of_its_own():
    position = Position(0)
    orders = [go_through(position, epoch) for epoch in (1, 2, 3)]
    assert [sorted(order) for order in orders] == [list(range(12))] * 3
    assert len({tuple(order) for order in orders}) == 3
    assert (position.epoch, position.batches) == (3, 6)
    assert position.tally.sums.tolist() == [12, 12, 12]


def test_it_goes_on_in_the_middle_of_an_epoch():
    whole, broken, other = Position(0), Position(0), Position(1)
    orders = [go_through(whole, epoch) for epoch in (1, 2, 3)]
    begun = go_through(broken, 1), go_through(broken, 2, end=4)
    other.load_state_dict(broken.state_dict())
    assert other.epoch == 2
    assert begun[1] + go_through(other, 2) == orders[1]
    assert other.tally.sums.tolist() == [12, 12, 12]
    assert go_through(other, 3) == orders[2]
