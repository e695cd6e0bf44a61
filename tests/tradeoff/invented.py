"""A trade-off as `bin/tradeoff` writes it, with invented figures."""


def curve(seed=0, better=0.0, leakage=0.2, rates=(64, 512)):
    shared = {
        **{"dataset": "cifar10", "classifier": "resnet20", "client_macs": 7_600_000, "psi_macs": 40_551_040},
        **{"plain": 0.91, "device_only": 0.80, "class_alone_ssim": 0.15, "n": 10_000, "seeds": [seed], "steps": 4000},
        **{"png_bytes": 190.0, "config": {"transform": "code"}, "command": "bin/tradeoff --run_dir=run"},
    }
    versions = {"tensorflow": "2.21.0", "keras": "3.15.1"}
    baseline = {"accuracy": 0.80, "validation_accuracy": 0.81, "macs": 7_500_000, "parameters": 90_000}
    rows = []
    for index, bits in enumerate(rates):
        protected = 0.82 + 0.02 * index + better
        attack = {"ssim": 0.2 + 0.1 * index, "psnr": 15.0, "reidentification_top1": 0.1, "n": 10_000}
        rows.append(
            shared
            | {"bits": bits, "protected": protected, "gain": protected - 0.80, "ceiling_ssim": 0.4 + 0.2 * index}
            | {"leakage": leakage, "strongest_attack": "dense", "strongest_ssim": attack["ssim"]}
            | {"reidentification_top1": 0.1, "linkage": 0.3, "attacks": {"dense": attack}}
        )
    return {
        "rows": rows,
        "device_only": {"best": "plain", "accuracy": 0.80, "macs": 7_500_000, "networks": {"plain": baseline}},
        "class_alone": {"ssim": 0.15},
        "sanity_checks": {"constant": {"ssim": 0.1, "mean_image": 0.1}, "failed": []},
        "environment": {"processor": "a CPU", "cores": 2, "commit": "abc", "packages": versions},
        "seconds": 1.0,
    }
