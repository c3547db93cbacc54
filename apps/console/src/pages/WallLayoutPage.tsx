import { useParams } from '@tanstack/react-router'
import { wallLayouts } from '../features/wall/wall-rotation.ts'
import { NoSuchPage } from '../ui/NoSuchPage.tsx'
import { WallPage } from './WallPage.tsx'

/** `/wall/:layout` */
export function WallLayoutPage() {
  const { layout } = useParams({ from: '/wall-frame/wall/$layout' })
  const known = wallLayouts.find((each) => each === layout)
  return known === undefined ? <NoSuchPage /> : <WallPage layout={known} />
}
