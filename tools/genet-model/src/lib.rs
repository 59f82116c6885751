//! A strict model of the BCM2711 GENET v5 Ethernet controller and its BCM54213PE PHY.
