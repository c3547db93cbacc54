// What a machine finds around itself at a target site.

/** `hyper-v`: disks, adapters and the bus are Hyper-V's own, in Azure too. `virtio`: as QEMU and KVM have them. */
export type GuestHardware = 'hyper-v' | 'virtio'

export type PresentedHardware = {
  readonly kind: GuestHardware
  /** There is no screen to type at: whoever has to get in needs the network or a serial line. */
  readonly serialLineOnly: boolean
  /**
   * The site is an emulation of a place with hardware of `kind`, and gives its machines this instead: what is judged holds for the place, and
   * keeps nothing from starting in the emulation.
   */
  readonly emulatedOn?: GuestHardware
}

export const wordsOfHardware: Record<GuestHardware, string> = {
  'hyper-v': 'Hyper-V',
  virtio: 'virtio',
}
