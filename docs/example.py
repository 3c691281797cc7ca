"""lrbench as a library: cut a model at hand, sweep, ask for a recommendation. Half a minute; downloads nothing."""

import torchvision

import lrbench

if __name__ == "__main__":  # timings run in fresh processes, which import this file
    model = torchvision.models.resnet18(num_classes=10).eval()
    cuts = lrbench.choose(model, (3, 32, 32), rule="macs=0.5", schemes=["spatial"], include=["layer*"])
    print(cuts)  # a row a layer: rank, params, MACs
    small = lrbench.compress(model, cuts)  # a copy, its layers factorized

    spec = {"baseline": {"epochs": 1}, "sweep": {"schemes": ["spatial"], "ranks": ["macs=0.3", "macs=0.6"]}}
    quick = {"finetune.epochs": 0, "latency.processes": 1, "latency.rounds": 20}
    results = lrbench.sweep(spec, quick, out="results/example")
    print(results.front()[["method", "rank_rule", "mac_ratio", "accuracy_finetuned"]])
    print(results.recommend(max_drop_points=5.0))
    results.figure("accuracy_macs").savefig("example.png")
