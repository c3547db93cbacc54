import {
  IconAffiliate,
  IconClock,
  IconHandStop,
  IconHeartbeat,
  IconPrompt,
  IconRoute,
  IconServer2,
  IconTerminal2,
  IconTopologyStar3,
  IconUserCheck,
  IconWebhook,
  IconWorld,
  IconWorldPin,
} from '@tabler/icons-react'
import type { StepKind } from '@understudy/contract/plan-editing'

/** Every kind has a shape of its own; none goes by colour. */
export const iconOfItem: Record<StepKind | 'machine', typeof IconClock> = {
  machine: IconServer2,
  script: IconTerminal2,
  manual: IconHandStop,
  approval: IconUserCheck,
  wait: IconClock,
  probe: IconHeartbeat,
  http: IconWebhook,
  dns: IconWorld,
  'load-balancer': IconAffiliate,
  'traffic-manager': IconRoute,
  'azure-load-balancer': IconTopologyStar3,
  'azure-dns': IconWorldPin,
  'azure-run-command': IconPrompt,
}
