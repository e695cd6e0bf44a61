"""bin/train with a residual network of one block: what each process traces takes seconds."""

from i2p_tf.cli import train

main = train.main


def small(arguments):
    from i2p_tf.models.classifiers import resnet

    resnet.STACKWISE_BLOCKS["resnet20"] = (1, 0, 0)
    main(arguments)


if __name__ == "__main__":
    train.main = small
    train.run()
