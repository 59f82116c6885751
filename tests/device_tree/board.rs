//! A small tree in the image of a Raspberry Pi 4's.

pub const SOURCE: &str = r#"/dts-v1/;
/memreserve/ 0x0 0x1000;
/memreserve/ 0x3b000000 0x1000000;
/ {
    #address-cells = <2>;
    #size-cells = <1>;
    compatible = "raspberrypi,4-model-b", "brcm,bcm2711";
    model = "Raspberry Pi 4 Model B";
    interrupt-parent = <&gicv2>;
    aliases { serial0 = &uart0; serial1 = &uart1; ethernet0 = &genet; loop = "loop"; };
    chosen {
        bootargs = "console=ttyS1";
        stdout-path = "serial1:115200n8";
        linux,initrd-start = <0x8000000>;
        linux,initrd-end = <0x0 0x8100000>;
    };
    memory@0 { device_type = "memory"; reg = <0 0 0x3b400000>, <0 0x40000000 0xbc000000>, <1 0 0x80000000>, <0 0 0>; };
    reserved-memory {
        #address-cells = <2>;
        #size-cells = <1>;
        ranges;
        linux,cma { compatible = "shared-dma-pool"; size = <0x4000000>; reusable; };
        atf@0 { reg = <0 0 0x80000>; no-map; };
        nvram@0 { reg = <0 0x3ef00000 0x200>; status = "disabled"; };
        log@3b000000 { reg = <0 0x3b000000 0x1000>, <0 0x3b002000 0x1000>; };
    };
    cpus {
        #address-cells = <1>;
        #size-cells = <0>;
        cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a72"; reg = <0>; };
    };
    soc {
        compatible = "simple-bus";
        #address-cells = <1>;
        #size-cells = <1>;
        ranges = <0x7e000000 0x0 0xfe000000 0x1800000>, <0x40000000 0x0 0xff800000 0x800000>;
        gicv2: interrupt-controller@40041000 {
            #interrupt-cells = <3>;
            interrupt-controller;
            compatible = "arm,gic-400";
            reg = <0x40041000 0x1000>, <0x40042000 0x2000>;
        };
        uart0: serial@7e201000 {
            compatible = "arm,pl011", "arm,primecell";
            reg = <0x7e201000 0x200>;
            status = "okay";
            bluetooth { compatible = "brcm,bcm43438-bt"; };
        };
        uart1: serial@7e215040 { compatible = "brcm,bcm2835-aux-uart"; reg = <0x7e215040 0x40>; };
        uart2: serial@7e201400 { compatible = "arm,pl011"; reg = <0x7e201400 0x200>; status = "disabled"; };
        unmapped@10000000 { reg = <0x10000000 0x10>; };
    };
    scb {
        compatible = "simple-bus";
        #address-cells = <2>;
        #size-cells = <1>;
        ranges = <0x0 0x7c000000 0x0 0xfc000000 0x03800000>;
        genet: ethernet@7d580000 {
            compatible = "brcm,bcm2711-genet-v5";
            reg = <0x0 0x7d580000 0x10000>;
            phy-handle = <&phy1>;
            phy-mode = "rgmii-rxid";
            a-node-with-a-name-of-more-than-thirty-one-characters@e14 {
                #address-cells = <1>;
                #size-cells = <0>;
                phy1: ethernet-phy@1 { reg = <1>; };
            };
        };
    };
};
"#;
