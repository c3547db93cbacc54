import { Badge } from '@mantine/core'

const Quiet = ({ children, title }: { readonly children: string; readonly title?: string }) => (
  <Badge
    size="xs"
    variant="outline"
    color="gray"
    title={title}
    style={{ flexShrink: 0, color: 'var(--ink-quiet)', borderColor: 'var(--line)' }}
  >
    {children}
  </Badge>
)

/** Not a real machine or site: said wherever one is shown. */
export const SimulatedBadge = () => <Quiet>simulated</Quiet>

/** An emulator on this computer stands in for the real thing: said wherever the site is shown. */
export const EmulatedBadge = () => <Quiet title="An emulator on this computer, not Azure">emulated</Quiet>

/** A site where no machine can run. */
export const KeepsReplicasBadge = () => <Quiet>keeps replicas</Quiet>
