import { Module } from '@nestjs/common';
import { HostsModule } from '../hosts/hosts.module';
import { FragmentationController } from './fragmentation.controller';
import { MemoryModelController } from './memory-model.controller';
import { WatermarksController } from './watermarks.controller';

/** What a host's memory looks like, and its marks under any known kernel. Nothing here is stored. */
@Module({
  imports: [HostsModule],
  controllers: [FragmentationController, MemoryModelController, WatermarksController],
})
export class LayoutModule {}
