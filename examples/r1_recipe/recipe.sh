#!/usr/bin/env bash
# The whole recipe. Every stage resumes where it stopped, and one that is done is passed over.
# Usage: examples/r1_recipe/recipe.sh [WORK_FOLDER]
#   R1_RECIPE_SIZE=smoke    a few minutes through every stage, learning nothing
#   R1_RECIPE_THREADS=N     threads to use (default: all)
#   PYTHON=python           an interpreter that has requirements.txt and the abyssal package
set -euo pipefail
export R1_RECIPE_WORK=$(realpath -m -- "${1:-${R1_RECIPE_WORK:-$(dirname "${BASH_SOURCE[0]}")/work}}")
cd "$(dirname "${BASH_SOURCE[0]}")"
python=${PYTHON:-python}
size=1000
[ "${R1_RECIPE_SIZE:-full}" = full ] || size=20

"$python" stage1_data.py             # tokenizer, examples, held-out sets
"$python" check_split.py             # no held-out problem is in the training data
"$python" stage2_cold_start.py       # supervised training on worked reasoning
"$python" stage3_grpo.py             # reinforcement learning, rollouts by Abyssal
"$python" stage4_reject.py           # rejection sampling, then supervised training with chat
"$python" stage5_distill.py          # a dense student
"$python" stage6_mtp.py              # the MTP layer, and the checkpoints

"$python" export.py cold_start grpo  # the models before and after reinforcement learning, to be measured
for model in cold_start grpo abyssal-tiny-r1 abyssal-tiny-r1-bf16 abyssal-tiny-r1-distill-qwen; do
  echo "== $model"
  "$python" evaluate.py "$R1_RECIPE_WORK/$model" --size "$size" --json "$R1_RECIPE_WORK/$model.accuracy.json"
done
"$python" measure_mtp.py "$R1_RECIPE_WORK/abyssal-tiny-r1" --size $((size / 5)) --json "$R1_RECIPE_WORK/mtp.json"
"$python" check_logits.py "$R1_RECIPE_WORK"/abyssal-tiny-r1{,-bf16,-distill-qwen} --store "$R1_RECIPE_WORK/expected.safetensors"
"$python" record_replies.py "$R1_RECIPE_WORK"/abyssal-tiny-r1{,-distill-qwen} --store "$R1_RECIPE_WORK/replies.json"
"$python" plots.py
"$python" write_cards.py "$R1_RECIPE_WORK/models"  # both models with their cards, as in examples/models
