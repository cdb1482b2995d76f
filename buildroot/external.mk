include $(sort $(wildcard $(BR2_EXTERNAL_CLOUDTALKER_PATH)/package/*/*.mk))
