// How a device of ours is called where libvirt gives the names: it takes an operator's alias when it begins with `ua-` and has
// only letters, digits, `_` and `-` (https://libvirt.org/formatdomain.html#devices), and makes it the device's id in QEMU. So
// a disk keeps its key on whatever platform it runs.
//
//     key  vda_1.b   <->   alias  ua-us-vda__1_db
const PREFIX = 'ua-us-'

export const aliasOfKey = (key: string): string =>
  PREFIX + key.replaceAll(/[_.]/g, (character) => (character === '.' ? '_d' : '__'))

/** Null when the alias is not one of ours. */
export const keyOfAlias = (alias: string): string | null =>
  alias.startsWith(PREFIX)
    ? alias.slice(PREFIX.length).replaceAll(/_[_d]/g, (pair) => (pair === '_d' ? '.' : '_'))
    : null
