// The multi-token-prediction layer: from the hidden state of token t and the embedding of token t + 1, the logits of
// token t + 2 (DeepSeek-V3, section 2.2).
#pragma once

#include "model/ragged.h"

namespace abyssal {

// Runs the MTP layer for the rows of a main pass whose final hidden states are in workspace.final, and waits for it.
// A row for token t + 1 needs the hidden state of token t: of the row before, or previous_hidden for a first row.
void mtp_pass(const DevicePtr &device, const Pass &main, const Ragged &ragged);

} // namespace abyssal
