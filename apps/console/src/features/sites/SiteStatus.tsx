import type { Site } from '@understudy/contract/site'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { toneOfSite, wordsOfSite } from './site-words.ts'

export const SiteStatus = ({ site }: { readonly site: Pick<Site, 'health'> }) => (
  <StatusMark tone={toneOfSite[site.health]}>{wordsOfSite[site.health]}</StatusMark>
)
